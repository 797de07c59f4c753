#!/bin/sh
# A runtime in shell: counts, fails for {"fail": 1}, exits for {"exit": 1}. Each request is a process of its own.
set -eu
base="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
while :; do
  event=$(curl -sS -D "$headers" "$base/next")
  id=$(tr -d '\r' <"$headers" | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *//p')
  case $event in
  *exit*) exit 9 ;;
  *fail*) curl -sS -o /dev/null -d '{"errorType": "Error", "errorMessage": "no such order"}' "$base/$id/error" ;;
  *)
    count=0
    while [ "$count" -lt 10000 ]; do count=$((count + 1)); done
    curl -sS -o /dev/null -d "{\"count\": $count}" "$base/$id/response"
    ;;
  esac
done
