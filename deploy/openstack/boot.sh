#!/usr/bin/env bash
# The first boot of a server of the stack, run by cloud-init: makes the server what its role is, with the scripts of
# provision/ that are in the image, and tells Heat when the application is ready, or in one line why not.
#
# Heat puts values in place of the names between at signs. SETTINGS are assignments to these:
#   service: the address of RabbitMQ and MariaDB, or localhost; network: which others may use MariaDB, such as 10.20.0
#   volume: the identifier of a volume for MariaDB's data; it is optional
#   target: s3://bucket/prefix; source: the address of a wheel to run instead of what is in the image; limit: seconds
#   OAT_PASSWORD, OAT_API_TOKEN, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
# shellcheck disable=SC2154 # assigned by these
set -uo pipefail
role='@ROLE@' log=/var/log/oat-boot.log
set -a
@SETTINGS@
set +a
# What the roles install is in the image; cloud-init sets no HOME, and RabbitMQ's commands want one.
export OAT_PROVISION=configure HOME=/root

tell_heat() { # STATUS REASON
  local reason=${2//[^[:alnum:] .,:;\/_()=@-]/ }
  @NOTIFY@ --silent --show-error --output /dev/null --retry 20 --retry-connrefused --retry-delay 2 \
    --data-binary "{\"status\": \"$1\", \"reason\": \"${reason:0:200}\", \"id\": \"$role\", \"data\": \"ready\"}"
}

fail() { # WHAT LINE
  tell_heat FAILURE "$role on $(hostname): $1: $2"
  exit 1
}

run() { # SCRIPT [ARGUMENT...]
  local script=$1
  shift
  "/vagrant/provision/$script" "$@" >>$log 2>&1 </dev/null ||
    fail "provision/$script failed" "$(grep . $log | tail -n 1)"
}

# MariaDB's data on a volume, which outlives the server: one that is new gets a file system, and what the image has there.
use_volume() { # ID
  local device=/dev/disk/by-id/virtio-${1:0:20} data=/var/lib/mysql # as udev names what KVM attaches
  until [ -e "$device" ]; do
    [ $SECONDS -lt "$limit" ] || fail "the volume $1 is not attached" "there is no $device"
    sleep 0.5
  done
  {
    systemctl stop mariadb
    if ! blkid "$device"; then
      mkfs.ext4 -q "$device" && mount "$device" /mnt && cp -a $data/. /mnt && umount /mnt
    fi && echo "$device $data ext4 defaults 0 2" >>/etc/fstab && mount $data && chown mysql: $data
  } >>$log 2>&1 || fail "the volume $1 cannot be used" "$(grep . $log | tail -n 1)"
}

case $role in
  service) scripts=() units=(rabbitmq-server mariadb) ;;
  tracker) scripts=(tracker) units=(oat-tracker oat-web) ;;
  producer) scripts=(producer) units=(oat-producer) ;;
  gallery) scripts=(gallery) units=(oat-web) ;;
  worker) scripts=(worker) units=(oat-worker@1) ;;
  all) scripts=(tracker worker producer) units=(rabbitmq-server mariadb oat-tracker oat-web oat-worker@1 oat-producer) ;;
esac

if [ -n "$source" ]; then # another version of the application than the image's
  /opt/oat/bin/pip install --quiet --no-index --no-deps --force-reinstall "$source" >>$log 2>&1 ||
    fail "the application cannot be installed from $source" "$(grep . $log | tail -n 1)"
fi
[ -z "${volume:-}" ] || use_volume "$volume"
case $role in service | all) run service.sh ${network:+"$network"} ;; esac
if [ "$role" != service ]; then
  run application.sh "$service" ${target:+"$target"}
  for script in "${scripts[@]}"; do run "$script.sh"; done
fi

# Where Heat wants to be told before it deletes the server, it has left the address of what to do.
[ "$role" != worker ] || [ ! -e /var/lib/heat-cfntools/cfn-init-data ] || run drain.sh

# A unit of oat is active when it has its connections: that is what it tells systemd (Type=notify).
for unit in "${units[@]}"; do
  until systemctl --quiet is-active "$unit"; do
    [ $SECONDS -lt "$limit" ] ||
      fail "$unit is $(systemctl is-active "$unit") after $SECONDS s" "$(journalctl -u "$unit" -o cat -n 1)"
    sleep 0.5
  done
done
case $role in
  tracker | gallery | all)
    until curl --silent --fail --max-time 5 --output /dev/null http://127.0.0.1:8080/readyz; do
      [ $SECONDS -lt "$limit" ] || fail "the gallery is not ready" "$(curl --silent http://127.0.0.1:8080/readyz | tail -n 1)"
      sleep 0.5
    done
    ;;
esac
tell_heat SUCCESS "$role is ready after $SECONDS s"
