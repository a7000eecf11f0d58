#!/usr/bin/env bats

load handlers

H=on-system-freshness-check

setup() {
  sandbox
  cd -- "$HOOKLINE_HOME/coordination" || return
}

@test "what was written lately is well" {
  : >worker-pool.json
  mkdir metrics
  : >metrics/x-1.json
  handled "$H" one '{"files":["worker-pool.json","metrics/x-1.json"],"max_age_s":60}'
  assert_state metrics/freshness.json '[.total_checks, .stale]' '[1,[]]'
  assert_equal "$(emitted .)" ''
}

@test "what is too old or missing is told" {
  touch -d '2020-01-01T00:00:00Z' old.json
  touch -d '30 minutes ago' young.json
  handled "$H" one '{"files":["old.json","young.json","none.json"]}'
  assert_equal "$(emitted '[.data.alert_type, .data.max_age_s, .data.files]')" \
    '["stale_files",3600,[{"file":"old.json","written":"2020-01-01T00:00:00Z"},'"\
{\"file\":\"none.json\",\"written\":null}]]"
}

@test "a file is told once an hour, another at once, one that was well meanwhile anew" {
  handled "$H" one '{"files":["a"]}' 0
  handled "$H" two '{"files":["a"]}' 3599
  handled "$H" three '{"files":["a","b"]}' 3599
  handled "$H" four '{"files":["a"]}' 3600
  : >a
  handled "$H" five '{"files":["a"]}' 3601
  rm a
  handled "$H" six '{"files":["a"]}' 3602
  assert_equal "$(emitted '.id[:3]' | tr '\n' ' ')" '"one" "thr" "fou" "six" '
}

@test "links are not looked through" {
  mkdir -p -- "$BATS_TEST_TMPDIR/elsewhere"
  : >"$BATS_TEST_TMPDIR/elsewhere/f"
  ln -s "$BATS_TEST_TMPDIR/elsewhere" folder
  ln -s "$BATS_TEST_TMPDIR/elsewhere/f" link
  handled "$H" one '{"files":["folder/f","link"]}'
  assert_state metrics/freshness.json '.stale | map(.file)' '["folder/f","link"]'
}

@test "no path leads out of coordination/" {
  local path
  for path in ../x /etc/passwd a/../../b .hidden 'a b' 'a//b' a/ ''; do
    refused "$H" one "{\"files\":[\"$path\"]}"
    assert_stderr "$H: data.files is no list of up to 100 paths below coordination/"
  done
  refused "$H" one '{"files":[]}'
  refused "$H" one '{}'
}
