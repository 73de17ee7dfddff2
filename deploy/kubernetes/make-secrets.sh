#!/bin/sh
# Prints the secrets that the manifests refer to, with new random values. Once per installation:
#   deploy/kubernetes/make-secrets.sh | kubectl apply -f -
# Running it again would change the keys: without the old ARPILOT_ENCRYPTION_KEYS the stored webhook secrets are lost.
set -eu
NAMESPACE=${NAMESPACE:-arpilot}
DATABASE_HOST=${DATABASE_HOST:-arpilot-postgres-rw}
random() { od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }
cat << END
apiVersion: v1
kind: Secret
metadata: { name: arpilot-keys, namespace: $NAMESPACE }
stringData:
  ARPILOT_SECRET_KEY: "$(random 32)"
  ARPILOT_ENCRYPTION_KEYS: "k1:$(head -c 32 /dev/urandom | base64)"
---
apiVersion: v1
kind: Secret
metadata: { name: arpilot-databases, namespace: $NAMESPACE }
stringData:
END
for service in customers invoices payments webhooks notifier; do
    variable=ARPILOT_$(echo $service | tr '[:lower:]' '[:upper:]')_DATABASE_URL
    echo "  $variable: postgresql://arpilot_$service:$(random 24)@$DATABASE_HOST:5432/arpilot"
done
