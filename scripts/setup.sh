#!/bin/sh
# Installs what ARPilot runs on, once: `scripts/setup.sh run` what the program needs, `scripts/setup.sh test` also what its tests need.
# A second call changes nothing and takes some milliseconds, since a stamp says which lock file has been installed.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/installed-lock

fail() { echo "setup: $*" >&2; exit 1; }
has() { command -v "$1" > /dev/null 2>&1; }
may_install() { [ "$(id -u)" = 0 ] && has apt-get; }
sum() { cksum < "$1"; }

# Debian packages, without starting the services that come with them.
install_packages() {
    echo "Installing $*"
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy; chmod +x $policy; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" > /dev/null; } || fail "apt-get could not install $*"
}

find_python() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then echo "$name"; return; fi
    done
}

make_venv() {
    python=$(find_python)
    if [ -z "$python" ] && may_install; then install_packages python3; python=$(find_python); fi
    [ -n "$python" ] || fail "Python 3.11 or newer is needed: install it, or set PYTHON to its path"
    # Debian keeps the part that makes virtual environments in a package of its own.
    if ! "$python" -c 'import ensurepip, venv' 2> /dev/null && may_install; then install_packages python3-venv; fi
    echo "Making .venv with $("$python" --version)"
    "$python" -m venv .venv || fail "$python cannot make virtual environments: on Debian, apt-get install python3-venv"
}

# uv installs a lock file in seconds; pip, which reads the same file, is there for places that uv cannot reach.
install_lock() {
    echo "Installing $1"
    rm -f $stamp
    if [ ! -x .venv/bin/uv ]; then
        .venv/bin/python -m pip --version > /dev/null 2>&1 || .venv/bin/python -m ensurepip > /dev/null
        .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r scripts/uv.requirements || true
    fi
    .venv/bin/uv pip sync -q --python .venv/bin/python --require-hashes "$1" ||
        .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "$1" ||
        fail "could not install $1: is a package index reachable?"
    sum "$1" > $stamp
}

installed() { [ -x .venv/bin/python ] && [ -e $stamp ] && [ "$(cat $stamp)" = "$(sum "$1")" ]; }

test_packages() {
    missing=
    has rabbitmq-server || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$missing rabbitmq-server"
    has chromium || missing="$missing chromium"
    has nginx || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
    ls /usr/lib/*/faketime/libfaketimeMT.so.1 > /dev/null 2>&1 || missing="$missing libfaketime"
    has pdftotext || missing="$missing poppler-utils"
    echo "$missing"
}

[ -x .venv/bin/python ] || make_venv
case ${1:-} in
run) installed requirements.lock || installed requirements-dev.lock || install_lock requirements.lock ;;
test)
    installed requirements-dev.lock || install_lock requirements-dev.lock
    missing=$(test_packages)
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # several words are meant
        if may_install; then install_packages $missing; else
            echo "setup: some tests need$missing, which only root can install (with Docker, RabbitMQ comes from a container)" >&2
        fi
    fi
    ;;
*) fail "say what for: scripts/setup.sh run|test" ;;
esac
