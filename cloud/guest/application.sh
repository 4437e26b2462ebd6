#!/usr/bin/env bash
# Makes of a bare Debian the gold image: all that the roles in provision/ install is in it, so a server needs no network
# to become one of them. Nothing of it is started or configured; a server's user data does that with these roles.
#
# application.sh FOLDER CHECKOUT
set -euo pipefail
root=$1 checkout=$2

# The checkout, as Vagrant lays it, with what is not committed yet, without what is built.
install -d "$root/vagrant"
git -C "$checkout" ls-files -z --cached --others --exclude-standard |
  tar --create --directory="$checkout" --ignore-failed-read --null --files-from=- | tar --extract --no-same-owner --directory="$root/vagrant"
grep -q ^vagrant: "$root/etc/passwd" || chroot "$root" useradd --create-home --shell /bin/bash vagrant
chroot "$root" chown -R vagrant:vagrant /vagrant

# The machine's own pip fetches the packages, with whatever proxy or mirror it is set up for; the image's finds them in a
# folder. What the application itself is built with is among them.
backend=$(sed -n 's/^requires = \["\(hatchling[^"]*\)"\]$/\1/p' "$checkout/pyproject.toml")
install -d "$root/var/cache/wheels"
/usr/bin/python3 -m pip download -q --require-hashes -r "$checkout/requirements.txt" -d "$root/var/cache/wheels"
/usr/bin/python3 -m pip download -q "$backend" -d "$root/var/cache/wheels"
printf '[global]\nno-index = true\nfind-links = /var/cache/wheels\n' >"$root/etc/pip.conf"

printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # starts no service here
chmod 755 "$root/usr/sbin/policy-rc.d"
rm -f "$root/etc/resolv.conf"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
for role in service application; do
  chroot "$root" env OAT_PROVISION=install /vagrant/provision/$role.sh
done
# The renderer for this machine's processor, which a worker would compile first; on another processor it still does.
chroot "$root" env XDG_CACHE_HOME=/var/cache /opt/oat/bin/python -c 'from oat.rendering import warm_up; warm_up()'
chroot "$root" systemctl disable --quiet rabbitmq-server mariadb epmd.socket epmd.service 2>/dev/null || true
rm -rf "$root"/etc/pip.conf "$root"/usr/sbin/policy-rc.d "$root"/var/cache/wheels "$root"/var/cache/apt/archives/*.deb
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/lib/rabbitmq/.erlang.cookie # each server makes a cookie of its own
ln -sf /run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
