#!/bin/sh
# Starts the broker of compose.secure.yaml. The first time it formats the data folder, and makes
# the users: with what SCRAM needs to judge a login, from which no password can be had.
set -eu
umask 077
kafka=${KAFKA_HOME:-/opt/kafka}
secrets=${SECRETS_DIR:-/run/secrets}
properties=${KAFKA_PROPERTIES:-/etc/secure-kafka.properties}
own=${TMPDIR:-/tmp}/kafka
mkdir -p "$own"

login="org.apache.kafka.common.security.scram.ScramLoginModule required"
login="$login username=\"broker\" password=\"$(cat "$secrets/broker-password")\";"
{
  cat "$properties"
  for listener in internal host; do
    echo "listener.name.$listener.scram-sha-512.sasl.jaas.config=$login"
  done
} >"$own/server.properties"
# For the health check, and for whoever looks after the broker from inside.
cat >"$own/client.properties" <<END
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=$login
ssl.truststore.type=PEM
ssl.truststore.location=$secrets/ca.pem
END

set --
while read -r user; do
  set -- "$@" --add-scram "$user"
done <"$secrets/scram-users"
"$kafka/bin/kafka-storage.sh" format --ignore-formatted --cluster-id "$CLUSTER_ID" \
  --config "$own/server.properties" "$@"
exec "$kafka/bin/kafka-server-start.sh" "$own/server.properties"
