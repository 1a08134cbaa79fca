{{- define "skr.labels" -}}
{{ include "skr.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "skr.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: application
{{- end }}

{{- define "skr.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default .Release.Name }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "skr.image" -}}
{{- with .Values.image.digest }}{{ $.Values.image.repository }}@{{ . }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "skr.hasApplication" -}}
{{- with .Values.application.template.spec }}{{ if .containers }}yes{{ end }}{{ end }}
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
{{- if and (include "skr.usesVTPM" .) (eq .Values.vtpm.access "agent") }}{{ .Release.Name }}-vtpm{{ end }}
{{- end }}
