#!/usr/bin/env bash
# The servers: RabbitMQ with its web interface, and MariaDB. May be run again at any time.
#
# service.sh [NETWORK]: with a network, such as 192.168.56, MariaDB also answers the machines there.
# In the environment: OAT_PASSWORD, of both servers' users; OAT_PROVISION, for images of machines: "install" brings the
# packages only, "configure" does the rest, without a network.
set -euo pipefail
network=${1:-} password=${OAT_PASSWORD:-secretsecret} part=${OAT_PROVISION:-all}
export DEBIAN_FRONTEND=noninteractive

if [ "$part" != configure ]; then
  apt-get update -qq
  apt-get install -qq --no-install-recommends rabbitmq-server mariadb-server >/dev/null
fi
[ "$part" != install ] || exit 0

# guest may come from everywhere: a forwarded port, and the other machines, are not this machine's own loopback,
# where RabbitMQ would keep a guest with the well-known password. This one has another.
cat >/etc/rabbitmq/rabbitmq.conf <<'END'
loopback_users = none
END
rabbitmq-plugins enable --quiet rabbitmq_management
systemctl enable -q rabbitmq-server mariadb
systemctl restart rabbitmq-server
rabbitmqctl --quiet await_startup
rabbitmqctl --quiet change_password guest "$password"

# Where the machines of a network have no names, asking for them would make each connection wait.
# In files of their own, tables of less than a megabyte have no page in reserve: on a full disk, MariaDB 10.11 breaks
# their indexes or gives up.
cat >/etc/mysql/mariadb.conf.d/90-oat.cnf <<END
[mariadbd]
bind-address = $([ -n "$network" ] && echo 0.0.0.0 || echo 127.0.0.1)
innodb_file_per_table = 0
innodb_autoextend_increment = 1
$([ -z "$network" ] || echo skip-name-resolve)
END
systemctl restart mariadb
mariadb -e "
  ALTER USER root@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('$password');
  CREATE DATABASE IF NOT EXISTS tutorial"
for host in localhost ${network:+"$network.%"}; do
  mariadb -e "
    CREATE OR REPLACE USER tutorial@'$host' IDENTIFIED BY '$password';
    GRANT ALL ON tutorial.* TO tutorial@'$host'"
done
