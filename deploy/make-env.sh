#!/bin/sh
# Writes deploy/.env with secrets of its own for `docker compose`, once; an existing one is left alone.
set -eu
cd "$(dirname "$0")"
[ ! -e .env ] || { echo "deploy/.env is there already"; exit 0; }
random() { od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }
umask 077
cat > .env.part << END
# Written by make-env.sh. Keep it: without ARPILOT_ENCRYPTION_KEYS the webhook secrets in the database are lost.
POSTGRES_PASSWORD=$(random 24)
CUSTOMERS_PASSWORD=$(random 24)
INVOICES_PASSWORD=$(random 24)
PAYMENTS_PASSWORD=$(random 24)
WEBHOOKS_PASSWORD=$(random 24)
NOTIFIER_PASSWORD=$(random 24)
RABBITMQ_PASSWORD=$(random 24)
GRAFANA_PASSWORD=$(random 12)
ARPILOT_SECRET_KEY=$(random 32)
ARPILOT_ENCRYPTION_KEYS=k1:$(head -c 32 /dev/urandom | base64)
# The origin that customers see in links.
ARPILOT_PUBLIC_URL=http://localhost:8080
END
mv .env.part .env
echo "Wrote deploy/.env"
