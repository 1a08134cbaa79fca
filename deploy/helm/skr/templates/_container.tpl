{{- /*
The sidecar's container. A chart that has this one as a dependency uses it as
  {{ include "skr.container" .Subcharts.skr }}
with the volumes of "skr.volumes" and the pod settings of "skr.placement".
*/ -}}
{{- define "skr.container" -}}
name: skr
image: {{ include "skr.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [/bin/skr]
{{- if include "skr.isNative" . }}
restartPolicy: Always
{{- end }}
env:
  {{- include "skr.environment" . | nindent 2 }}
{{- if .Values.ops.port }}
ports:
  - {name: skr-ops, containerPort: {{ .Values.ops.port }}, protocol: TCP}
{{- end }}
{{ include "skr.probes" . }}
resources:
  {{- toYaml .Values.sidecar.resources | nindent 2 }}
securityContext:
  {{- include "skr.securityContext" . | nindent 2 }}
# The last line of skr's log names the error and becomes the termination message.
terminationMessagePolicy: FallbackToLogsOnError
{{- with include "skr.mounts" . | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Platform aci is for virtual nodes that do not run native sidecars (VN2 charts before 1.2908.24110801). */ -}}
{{- define "skr.isNative" -}}
{{- if and .Values.sidecar.native (ne .Values.platform "aci") }}yes{{ end }}
{{- end }}

{{- define "skr.environment" -}}
- {name: SKR_LISTEN, value: "localhost:{{ .Values.sidecar.port }}"}
{{- with .Values.sidecar.grpcPort }}
- {name: SKR_GRPC_LISTEN, value: "localhost:{{ . }}"}
{{- end }}
{{- with .Values.ops.port }}
- {name: SKR_OPS_LISTEN, value: ":{{ . }}"}
{{- end }}
{{- if include "skr.usesVTPM" . }}
{{- $direct := eq .Values.vtpm.access "direct" }}
- {name: SKR_REPORT_SOURCE, value: vtpm}
- {name: SKR_TPM, value: {{ ternary "/dev/tpmrm0" "unix:/run/skr/tpm.sock" $direct | quote }}}
- {name: SKR_EVENT_LOG, value: {{ ternary "/sys/kernel/security/tpm0/binary_bios_measurements" "/run/skr/event-log" $direct | quote }}}
{{- end }}
{{- if include "skr.onVirtualNode" . }}
# The virtual node replaces this value with the address of the host's certificate cache.
- {name: VN2_THIM_ENDPOINT, value: "===VIRTUALNODE2.CC.THIM.ENDPOINT==="}
{{- end }}
{{- if eq .Values.platform "aci-vn2" }}
{{- if and .Values.identity.resourceId .Values.identity.clientId (not .Values.sidecar.settings.client_id) }}
- {name: SKR_CLIENT_ID, value: {{ .Values.identity.clientId | quote }}}
{{- end }}
{{- end }}
{{- with .Values.sidecar.sideCarArgs }}
- {name: SkrSideCarArgs, value: {{ . | quote }}}
{{- end }}
{{- range $name, $value := .Values.sidecar.settings }}
- {name: SKR_{{ upper $name }}, value: {{ include "skr.setting" $value | quote }}}
{{- end }}
{{- with .Values.sidecar.settings }}{{ if and .fleet_window (not .fleet_member) }}
- {name: SKR_FLEET_MEMBER, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
{{- end }}{{ end }}
{{- range $name, $value := .Values.sidecar.environment }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- /* A setting as its variable holds it: lists with commas, sections as JSON. */ -}}
{{- define "skr.setting" -}}
{{- $list := false }}
{{- if kindIs "slice" . }}{{ $list = or (not .) (kindIs "string" (first .)) }}{{ end }}
{{- if kindIs "string" . }}{{ . }}{{ else if $list }}{{ join "," . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- define "skr.probes" -}}
{{- $exec := dict "exec" (dict "command" (list "/bin/skr" "healthcheck")) "timeoutSeconds" 5 }}
{{- $ready := $exec }}
{{- $live := dict }}
{{- if .Values.ops.port }}
{{- $ready = dict "httpGet" (dict "path" "/readyz" "port" "skr-ops") "timeoutSeconds" 5 }}
{{- $live = dict "livenessProbe" (dict "httpGet" (dict "path" "/livez" "port" "skr-ops") "timeoutSeconds" 5) }}
{{- end }}
{{- $startup := merge (dict "periodSeconds" 2 "failureThreshold" 60) $ready }}
{{- merge (dict "startupProbe" $startup "readinessProbe" $ready) $live | toYaml }}
{{- end }}

{{- define "skr.securityContext" -}}
{{- $own := include "skr.ownSecurityContext" . }}
{{- if .Values.sidecar.securityContext }}
{{- $merged := fromYaml $own }}
{{- range $name, $value := .Values.sidecar.securityContext }}{{ $_ := set $merged $name $value }}{{ end }}
{{- toYaml $merged }}
{{- else }}
{{- $own }}
{{- end }}
{{- end }}

{{- define "skr.ownSecurityContext" -}}
{{- if and (include "skr.usesVTPM" .) (eq .Values.vtpm.access "direct") -}}
# Kubernetes gives a node's device only to privileged containers.
privileged: true
runAsUser: 0
runAsNonRoot: false
{{- else -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
runAsUser: {{ .Values.sidecar.runAsUser }}
runAsGroup: 65532 # the group of the agent's sockets
runAsNonRoot: {{ ne (int .Values.sidecar.runAsUser) 0 }}
seccompProfile: {type: RuntimeDefault}
{{- end }}
readOnlyRootFilesystem: true
{{- end }}

{{- define "skr.mounts" -}}
{{- include "skr.ownMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "skr.ownMounts" -}}
{{- if include "skr.claim" . -}}
- {name: skr-vtpm, mountPath: /run/skr, readOnly: true}
{{- else if include "skr.usesVTPM" . -}}
- {name: skr-tpm, mountPath: /dev/tpmrm0}
- {name: skr-securityfs, mountPath: /sys/kernel/security, readOnly: true}
{{- else if and (eq .Values.platform "aks-kata") .Values.endorsementFromHost -}}
- {name: skr-endorsement, mountPath: /opt/confidential-containers/share/kata-containers/reference-info-base64, readOnly: true}
{{- end }}
{{- end }}

{{- define "skr.volumes" -}}
{{- include "skr.ownVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "skr.ownVolumes" -}}
{{- if include "skr.claim" . -}}
- name: skr-vtpm
  persistentVolumeClaim: {claimName: {{ include "skr.claim" . }}, readOnly: true}
{{- else if include "skr.usesVTPM" . -}}
- {name: skr-tpm, hostPath: {path: /dev/tpmrm0, type: CharDevice}}
- {name: skr-securityfs, hostPath: {path: /sys/kernel/security, type: Directory}}
{{- else if and (eq .Values.platform "aks-kata") .Values.endorsementFromHost -}}
# The utility VM's own file: Microsoft's endorsement of what it booted.
- name: skr-endorsement
  hostPath: {path: /opt/confidential-containers/share/kata-containers/reference-info-base64}
{{- end }}
{{- end }}

{{- /* Where a pod of the platform runs. */ -}}
{{- define "skr.placement" -}}
{{- if eq .Values.platform "aks-kata" -}}
runtimeClassName: kata-cc-isolation
{{- else if include "skr.onVirtualNode" . -}}
nodeSelector: {virtualization: virtualnode2}
tolerations:
  - {key: virtual-kubelet.io/provider, operator: Exists, effect: NoSchedule}
{{- else -}}
nodeSelector:
  {{- include "skr.nodeSelector" . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "skr.nodeSelector" -}}
kubernetes.azure.com/security-type: {{ ternary "TrustedLaunch" "ConfidentialVM" (eq .Values.platform "trusted-launch") }}
{{- if eq .Values.platform "cvm-tdx" }}
# Azure labels no node with the kind of its processor: set this label yourself.
skr/tee: tdx
{{- end }}
{{- end }}

{{- define "skr.annotations" -}}
{{- if and .Values.executionPolicy (eq .Values.platform "aks-kata") -}}
io.katacontainers.config.agent.policy: {{ .Values.executionPolicy | quote }}
{{- else if include "skr.onVirtualNode" . -}}
{{- with .Values.executionPolicy }}
microsoft.containerinstance.virtualnode.ccepolicy: {{ . | quote }}
{{- end }}
{{- with .Values.identity.resourceId }}
microsoft.containerinstance.virtualnode.identity: {{ . | quote }}
{{- end }}
{{- if and (eq .Values.platform "aci-vn2") (not (hasKey (merge (deepCopy .Values.podAnnotations) (dig "metadata" "annotations" dict .Values.application.template)) "microsoft.containerinstance.virtualnode.injectdns")) }}
# Confidential pods have no kube-proxy, so they do not reach the cluster's DNS.
microsoft.containerinstance.virtualnode.injectdns: "false"
{{- end }}
{{- end }}
{{- end }}
