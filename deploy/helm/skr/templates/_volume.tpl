{{- define "skr.persistentVolume" -}}
# The directory of the node's agent, on whichever node the pod runs. As a volume of
# the cluster it is the administrator's to give, so that the pod keeps to the
# "restricted" standard, which knows no hostPath.
apiVersion: v1
kind: PersistentVolume
metadata:
  name: {{ .Release.Namespace }}-{{ include "skr.claim" . }}
  labels:
    {{- include "skr.labels" . | nindent 4 }}
spec:
  capacity: {storage: 1Mi}
  accessModes: [ReadOnlyMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: {{ .Release.Namespace }}, name: {{ include "skr.claim" . }}}
  hostPath: {path: /run/skr, type: Directory}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "skr.claim" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "skr.labels" . | nindent 4 }}
spec:
  accessModes: [ReadOnlyMany]
  resources: {requests: {storage: 1Mi}}
  storageClassName: ""
  volumeName: {{ .Release.Namespace }}-{{ include "skr.claim" . }}
{{- end }}
