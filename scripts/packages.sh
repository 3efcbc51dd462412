# packages.sh - sourced by scripts/run and scripts/test: installs the Debian packages named, if any is missing.
# need PACKAGE ...: says what it does on stderr; without apt-get it names what has to be there and goes on.

need() {
  missing=
  for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "pah: this is not a Debian system; install what corresponds to:$missing" >&2
    return 0
  fi
  root=
  [ "$(id -u)" = 0 ] || root=sudo
  echo "pah: installing$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  # Lists may be absent or old on a fresh machine: fetch them once, then install.
  # shellcheck disable=SC2086
  log=$({ $root apt-get update -qq && $root apt-get install -y -qq --no-install-recommends $missing; } \
    2>&1 </dev/null) || {
    printf '%s\npah: apt-get could not install:%s\n' "$log" "$missing" >&2
    return 1
  }
}

# What the program is built with and runs with: g++ and addr2line (binutils) are what the device sim compiles with;
# libsqlite3-0 is opened for results in .db files, gnuplot draws pictures.
BUILD_PACKAGES="gcc g++ binutils libc6-dev make autoconf automake pkg-config \
libluajit-5.1-dev libluajit-5.1-2 libedit-dev libsqlite3-0 gnuplot-nox"
# What the specs and the checks of the sources use besides.
TEST_PACKAGES="sqlite3 lua-busted lua-check clang clang-format libomp-dev tmux mandoc zsh fish \
python3-numpy"
# The cluster of spec/cluster/slurm_spec.lua, which is skipped and counted without it; a few MB.
SLURM_PACKAGES="slurmctld slurmd slurm-client munge procps"
