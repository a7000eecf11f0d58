#!/bin/bash
# Says that it is ready, and ends.
printf '\n' >&"$HOOKLINE_READY_FD"
