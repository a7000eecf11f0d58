#!/usr/bin/env bash
# Usage: event-replay.sh --event-id ID | --date YYYY-MM-DD [OPTION...]
# Summary: deliver events of the past once more, to every handler that wants them
# Exit: 0 done, 1 one failed, 64 usage, 65 no such event, 69 no hookline, 75 some wait, 78 no home;
#   told to end: 129 (HUP), 130 (INT), 143 (TERM)
#
# Event Replay Tool
#
# USAGE: event-replay.sh --event-id ID | --date YYYY-MM-DD [OPTION...]
#
#   --event-id ID        the event of this id
#   --date YYYY-MM-DD    the events of a day, in local time
#   --type RE            only types that this regular expression matches, anywhere
#   --source RE          only sources that it matches
#   --priority P         only low, medium, high or critical; an event without one is medium
#   --correlation ID     only events of this correlation
#   --dry-run            say what would be replayed
#   -v, --verbose        show each event
#   --queue              put new events with the same data into the drop box, and do not wait
#   --json               one JSON object an event, then one for all of them
#   --home DIR           the home; else $HOOKLINE_HOME, $CORTEX_HOME, the one of this script
#
# Searches the logs and their closed segments, and then coordination/events/archive/, where Cortex's
# dispatcher has put its files. A running dispatcher delivers, or else one is run.
set -euo pipefail

# shellcheck source=lib/hookline-command.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/hookline-command.sh"

readonly USAGE_LINES=24

main() {
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n "2,${USAGE_LINES}s/^# \{0,1\}//p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  _hookline_exec "${BASH_SOURCE[0]}" event-replay "$@"
}

main "$@"
