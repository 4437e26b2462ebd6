#!/usr/bin/env bash
# A bare Debian with cloud-init, as a folder: what any server of this cloud is made from. Nothing is mounted.
#
# debian.sh FOLDER RELEASE MIRROR
#
# Made a file system, it starts as a container, which needs no kernel. What a virtual machine needs beyond that (a kernel,
# a boot loader) is not in it.
set -euo pipefail
root=$1 release=$2 mirror=$3

# python3-cffi-backend: without it debootstrap leaves cloud-init unconfigured.
packages=systemd-sysv,systemd-resolved,dbus,udev,iproute2,netbase,ca-certificates,python3-cffi-backend,cloud-init
packages+=,openssh-server,python3,curl,ethtool,iputils-ping,procps,sudo
rm -rf "$root"
# A server gets a copy of all this, so there is nothing in it that nobody reads there; and nobody minds if a power cut
# spoils it while it is made.
install -d "$root/etc/dpkg/dpkg.cfg.d"
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'END'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
END
debootstrap --variant=minbase --include="$packages" "$release" "$root" "$mirror"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
rm -rf "$root"/usr/share/{doc,info,locale,man}/* # of what debootstrap itself has unpacked
: >"$root/etc/fstab"
: >"$root/etc/machine-id"
ln -sf /run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"

# The network by DHCP; cloud-init has no say in it, and asks the drive that Nova gives first.
cat >"$root/etc/systemd/network/80-dhcp.network" <<'END'
[Match]
Name=eth0 en*

[Network]
DHCP=ipv4
LinkLocalAddressing=no
END
cat >"$root/etc/cloud/cloud.cfg.d/90-oat-cloud.cfg" <<'END'
network: {config: disabled}
datasource_list: [ConfigDrive, OpenStack, None]
datasource: {OpenStack: {max_wait: 60, timeout: 5, retries: 3, metadata_urls: ["http://169.254.169.254"]}}
system_info: {default_user: {name: debian}}
manage_etc_hosts: true
# It fails now and then, and costs 90 seconds.
locale: false
# There is no mirror to be reached.
apt: {preserve_sources_list: true}
END
echo 'policy: enabled' >"$root/etc/cloud/ds-identify.cfg"

# Open vSwitch's user-space datapath does not fill in the checksums that a virtual device leaves open: TCP would fail.
cat >"$root/etc/systemd/system/checksums.service" <<'END'
[Unit]
Description=Fill in checksums before packets leave
DefaultDependencies=no
Before=network-pre.target systemd-networkd.service
Wants=network-pre.target
ConditionVirtualization=container

[Service]
Type=oneshot
ExecStart=/usr/sbin/ethtool -K eth0 tx off

[Install]
WantedBy=sysinit.target
END
cat >"$root/etc/systemd/network/10-eth0.link" <<'END'
[Match]
OriginalName=*

[Link]
NamePolicy=
Name=eth0
TransmitChecksumOffload=no
END
chroot "$root" systemctl enable --quiet checksums systemd-networkd systemd-resolved ssh
chroot "$root" systemctl enable --quiet cloud-init-local cloud-init cloud-config cloud-final 2>/dev/null ||
  chroot "$root" systemctl enable --quiet cloud-init-local cloud-init-network cloud-config cloud-final # since 24.4
# A server on trial needs no updates of its own.
chroot "$root" systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer
