{{- /* The name of all objects: the release's. Names of StatefulSets, and host names of pods, admit no dots. */ -}}
{{- define "skr.fullname" -}}
{{- .Values.fullnameOverride | default (.Release.Name | replace "." "-") }}
{{- end }}

{{- define "skr.name" -}}
{{- .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{- /* Labels admit no "+", with which build metadata begins in a version. */ -}}
{{- define "skr.labels" -}}
{{ include "skr.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "skr.selector" -}}
app.kubernetes.io/name: {{ include "skr.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: application
{{- end }}

{{- define "skr.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "skr.fullname" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- /* A tag admits no "+" either. */ -}}
{{- define "skr.image" -}}
{{- with .Values.image.digest }}{{ $.Values.image.repository }}@{{ . }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default (.Chart.AppVersion | replace "+" "_") }}{{ end }}
{{- end }}

{{- define "skr.hasApplication" -}}
{{- with .Values.application.template.spec }}{{ if .containers }}yes{{ end }}{{ end }}
{{- end }}

{{- /* Fails where the values would install nothing, or leave out what they ask for. */ -}}
{{- define "skr.check" -}}
{{- if and .Chart.IsRoot (not (include "skr.hasApplication" .)) }}
{{- if .Values.application.template }}{{ fail "application.template: no containers are in spec.containers, so no pod would be installed; write the application's containers there" }}{{ end }}
{{- if not .Values.agent.enabled }}{{ fail "nothing would be installed: set application.template to the application's pod, or agent.enabled=true for the agent of virtual machines" }}{{ end }}
{{- if .Values.ops.podMonitor.enabled }}{{ fail "ops.podMonitor.enabled: no pod with metrics would be installed; set application.template" }}{{ end }}
{{- end }}
{{- if and (eq .Values.application.kind "Job") (not (include "skr.isNative" .)) }}
{{- fail "application.kind: a Job does not complete while an ordinary sidecar runs; use sidecar.native=true, on another platform than aci" }}
{{- end }}
{{- range list "selector" "template" "replicas" }}
{{- if hasKey $.Values.application.spec . }}{{ fail (printf "application.spec.%s: the chart sets it; use application.template or application.replicas" .) }}{{ end }}
{{- end }}
{{- end }}

{{- /* A list of secrets, each as its name or as {name: NAME}. */ -}}
{{- define "skr.pullSecrets" -}}
{{- range .Values.imagePullSecrets }}
- name: {{ if kindIs "string" . }}{{ quote . }}{{ else }}{{ quote .name }}{{ end }}
{{- end }}
{{- end }}

{{- define "skr.usesVTPM" -}}
{{- if has .Values.platform (list "cvm" "cvm-tdx" "trusted-launch") }}yes{{ end }}
{{- end }}

{{- define "skr.onVirtualNode" -}}
{{- if has .Values.platform (list "aci" "aci-vn2") }}yes{{ end }}
{{- end }}

{{- /* Workload identity, unless the identity is assigned to the container group. */ -}}
{{- define "skr.usesWorkloadIdentity" -}}
{{- if and .Values.identity.clientId (ne .Values.platform "aci") (not (and (eq .Values.platform "aci-vn2") .Values.identity.resourceId)) }}yes{{ end }}
{{- end }}

{{- /* The claim under which a pod sees the directory of the node's agent. */ -}}
{{- define "skr.claim" -}}
{{- if and (include "skr.usesVTPM" .) (eq .Values.vtpm.access "agent") }}{{ include "skr.fullname" . }}-vtpm{{ end }}
{{- end }}
