{{/* The chart's name, as labels have it. */}}
{{- define "glyph.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* What the names of everything begin with. */}}
{{- define "glyph.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "glyph.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "glyph.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Names of what belongs to no namespace: another release, elsewhere, has others. */}}
{{- define "glyph.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "glyph.fullname" .) }}
{{- end }}

{{/* Each kind, and what is more than this: the operator reads it and writes its status, people may read it, and those with the
role `admin` write it. `patched`: the operator writes to the resource itself; `decides`: the sidecar decides by it; `edited`:
people with the role `edit` may write it. */}}
{{- define "glyph.kinds" -}}
tiers: [patched, decides]
glyphcustomers: [patched, decides, edited]
subscriptions: [patched, decides, edited]
apikeys: [patched, decides, edited]
creditpacks: [patched]
creditpurchases: [patched, edited]
creditgrants: [patched, decides]
glyphapis: [decides]
{{- end }}

{{/* Names of kinds, as JSON. Takes a list: which of them (empty: all), and what follows each name. */}}
{{- define "glyph.kindNames" -}}
{{- $which := index . 0 }}
{{- $end := index . 1 }}
{{- $names := list }}
{{- range $name, $is := include "glyph.kinds" . | fromYaml }}
{{- if or (not $which) (has $which $is) }}{{ $names = append $names (print $name $end) }}{{ end }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{/* Labels of everything. Takes a list: the root, and the component. */}}
{{- define "glyph.labels" -}}
{{- $root := index . 0 }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: glyph
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{ include "glyph.selector" . }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What pods are found by. Takes a list: the root, and the component. */}}
{{- define "glyph.selector" -}}
app.kubernetes.io/name: {{ include "glyph.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of pods: none that changes with the chart alone, or Redis would start anew with each upgrade. Takes a list: the
root, and the component. */}}
{{- define "glyph.podLabels" -}}
app.kubernetes.io/part-of: glyph
{{ include "glyph.selector" . }}
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An image of ours. Takes a list: the root, and the values of the image. */}}
{{- define "glyph.image" -}}
{{- $root := index . 0 }}
{{- $image := index . 1 }}
{{- $name := printf "%s/%s" $root.Values.image.registry $image.repository }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default $root.Chart.AppVersion $root.Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "glyph.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* "true" if all namespaces are watched. */}}
{{- define "glyph.watchesAll" -}}
{{- if has "*" .Values.watch.namespaces }}true{{ end }}
{{- end }}

{{/* The namespaces that are watched, as JSON; empty when it is all. */}}
{{- define "glyph.namespaces" -}}
{{- if include "glyph.watchesAll" . }}[]
{{- else if .Values.watch.namespaces }}{{ .Values.watch.namespaces | uniq | sortAlpha | toJson }}
{{- else }}{{ list .Release.Namespace | toJson }}
{{- end }}
{{- end }}

{{/* Where the account API makes its customers. */}}
{{- define "glyph.accountNamespace" -}}
{{- default (first (append (include "glyph.namespaces" . | fromJsonArray) .Release.Namespace)) .Values.account.namespace }}
{{- end }}

{{- define "glyph.pepperSecret" -}}
{{- default (printf "%s-pepper" (include "glyph.fullname" .)) .Values.pepper.existingSecret }}
{{- end }}

{{- define "glyph.redisSecret" -}}
{{- default (printf "%s-redis" (include "glyph.fullname" .)) .Values.redis.existingSecret }}
{{- end }}

{{/* Where a directory of credentials comes from. Takes the projected sources as a list of Secret names; one Secret may
hold several settings, and one that lacks a setting is no error: the program says which it needs. */}}
{{- define "glyph.credentialsVolume" -}}
- name: credentials
  projected:
    defaultMode: 0440
    sources:
      {{- range . }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- end }}

{{/* Who a pod runs as. */}}
{{- define "glyph.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What a container may do: nothing but run. */}}
{{- define "glyph.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Placement. Takes a list: the root, the component, its values. */}}
{{- define "glyph.placement" -}}
{{- $values := index . 2 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "glyph.selector" (list (index . 0) (index . 1)) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Probes of the admin port. */}}
{{- define "glyph.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 10
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* Further environment variables, by name. */}}
{{- define "glyph.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Who may reach a port. Takes a list: the root, and peers as of a NetworkPolicy; none is every pod of the cluster. `helm test`
always may. */}}
{{- define "glyph.from" -}}
{{- with index . 1 }}
{{- toYaml . }}
- podSelector:
    matchLabels:
      {{- include "glyph.selector" (list (index $ 0) "check") | nindent 6 }}
{{- else -}}
- namespaceSelector: {}
{{- end }}
{{- end }}

{{/* Egress to DNS and the Kubernetes API. */}}
{{- define "glyph.egressToCluster" -}}
- ports:
    - { port: 53, protocol: UDP }
    - { port: 53, protocol: TCP }
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
{{- end }}

{{/* Egress to Redis. */}}
{{- define "glyph.egressToRedis" -}}
{{- if .Values.redis.bundled.enabled }}
- to:
    - podSelector:
        matchLabels:
          {{- include "glyph.selector" (list . "redis") | nindent 10 }}
  ports:
    - { port: 6379, protocol: TCP }
{{- else }}
- ports:
    {{- range .Values.networkPolicy.redisPorts }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
  {{- with .Values.networkPolicy.redis }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The alerts, with the values that stand in them between @, and each with its runbook. */}}
{{- define "glyph.alerts" -}}
{{- $rule := .Values.monitoring.prometheusRule }}
{{- $text := .Files.Get "files/alerts.yaml" }}
{{- range $name := list "window" "baseline" }}
{{- $text = replace (printf "@%s@" $name) (get $rule $name) $text }}
{{- end }}
{{- range $group := list "for" "thresholds" }}
{{- range $name, $value := get $rule $group }}
{{- $text = replace (printf "@%s.%s@" $group $name) (toString $value) $text }}
{{- end }}
{{- end }}
{{- $alerts := fromYaml $text }}
{{- range $alerts.groups }}
{{- range .rules }}
{{- $_ := set .annotations "runbook_url" (printf "%s#%s" $rule.runbookUrl (lower .alert)) }}
{{- end }}
{{- end }}
{{- toYaml $alerts }}
{{- end }}

{{/* What puts a policy in force. Takes a list: the root, the name, and the namespaces; none is all. */}}
{{- define "glyph.policyBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ index . 1 }}
  labels:
    {{- include "glyph.labels" (list (index . 0) "admission") | nindent 4 }}
spec:
  policyName: {{ index . 1 }}
  validationActions: [Deny]
  {{- with index . 2 }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - { key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }} }
  {{- end }}
{{- end }}

{{/* The paths of the account API, as YAML. */}}
{{- define "glyph.accountPaths" -}}
- { path: /auth, type: Prefix }
- { path: /billing, type: Prefix }
- { path: /api-keys, type: Prefix }
- { path: /plans, type: Exact }
- { path: /docs, type: Exact }
- { path: /openapi.json, type: Exact }
{{- end }}
