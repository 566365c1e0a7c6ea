#!/bin/bash
# All crash campaigns against one binary.
#
#   tests/crash/run.sh [BINARY] [ROUNDS]
#
# BINARY: default build/release/weir. ROUNDS: multiplies the size of every campaign; 1 takes about
# three minutes. The seeds are random and printed; SEED=n repeats a run, and the gate has its own
# (scripts/suite.py). The last line counts all cases.
set -u
here=$(cd "$(dirname "$0")" && pwd)
export WEIR_BINARY=${1:-${WEIR_BINARY:-$here/../../build/release/weir}}
rounds=${2:-1}
report=${WEIR_TEST_REPORT:-}
seed=${SEED:+--seed $SEED}
export PYTHONDONTWRITEBYTECODE=1

if [ ! -x "$WEIR_BINARY" ]; then
  echo "$WEIR_BINARY is not there; build it with scripts/build release" >&2
  exit 1
fi

passed=0
failed=0
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT

campaign() {
  local name=$1
  shift
  echo "--- $name"
  # shellcheck disable=SC2086  # the seed is two words or none
  WEIR_TEST_REPORT=$reports/$name.json "$here/$name" $seed "$@" 2>&1 | tee "$reports/$name.txt"
  local counts
  counts=$(tail -n 1 "$reports/$name.txt")
  if [[ $counts =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
  else
    echo "the campaign $name ended early"
    failed=$((failed + 1))
  fi
}

campaign ledger_test.py
campaign kill --stores $((3 * rounds)) --kills 12
campaign faults --points "$rounds" --starts $((1 + rounds > 6 ? 6 : 1 + rounds))
campaign full_disk --seeds "$rounds"
campaign damage --stores $((20 * rounds))
campaign repair --stores $((13 * rounds))
campaign power_cut --disks "$rounds" --cuts 8

if [ -n "$report" ]; then
  /usr/bin/python3 -c '
import json, pathlib, sys
cases = []
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    cases += json.loads(path.read_text())
pathlib.Path(sys.argv[2]).write_text(json.dumps(cases))' "$reports" "$report"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
