#!/usr/bin/env bash
# Has `vagrant up` make containers (LXC) instead of virtual machines, until Ctrl-C: for chapter 8, where there is no
# hypervisor. Debian 12, as root; what is missing is installed. In other terminals, `source ~/oat-machines/env`.
set -euo pipefail
folder=~/oat-machines
ready() {
  export -p | grep -E ' (OAT_BOX|VAGRANT_[A-Z_]+)=' >"$1/env"
  echo "Ready; Ctrl-C stops it. In other terminals: source ~/oat-machines/env"
  sleep infinity
}
export -f ready
# shellcheck disable=SC2016 # for that shell
"$(dirname "$0")/../../tests/deploy/vagrant/with-lxc" $folder bash -c 'ready "$1"' ready $folder
