{{- define "skr.persistentVolume" -}}
# The agent's directory on the pod's node. It is a PersistentVolume, which an
# administrator provides, because the "restricted" standard forbids hostPath in pods.
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
