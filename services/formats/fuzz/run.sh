#!/usr/bin/env bash
# Fuzzes the readers one after the other: run.sh SECONDS [TARGET...]   (hl7v2 mllp fhir ccda xdm; default the first four)
#   FUZZ_PYTHON   a Python that has atheris and the dependencies of this package (default python3)
#   FUZZ_HOME     where inputs worth keeping, failures and logs go (default: a new temporary folder)
# Prints one JSON line a target: executions, executions per second, the slowest input, what broke. Ends with 1 if anything did.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seconds=${1:?seconds for each target}; shift
[ $# -gt 0 ] || set -- hl7v2 mllp fhir ccda
home=${FUZZ_HOME:-$(mktemp -d)}; status=0
for target in "$@"; do
  mkdir -p "$home/$target"
  PYTHONPATH="$here/../src" nice -n 10 "${FUZZ_PYTHON:-python3}" "$here/fuzz.py" "$target" "$seconds" "$home/$target" \
    > "$home/$target/log" 2>&1 || status=1
  if [ -e "$home/$target/figures.json" ]; then cat "$home/$target/figures.json"
  else echo "{\"target\": \"$target\", \"ended\": \"$(tail -n 1 "$home/$target/log" | tr -d '"')\"}"; fi
done
echo "kept in $home"
exit $status
