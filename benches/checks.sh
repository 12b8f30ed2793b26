#!/usr/bin/env bash
# The checks of tcp-lb beside HAProxy's, one thread each, in turn, on loopback: 10,000 targets, each once a
# second, by TCP and by HTTP. Needs haproxy and nginx (Debian's packages),
# root to make namespaces, and `cargo build --release --bin
# tcp-lb`.
# Prints how many connections were begun in a second, the processor time that one took, the resident memory of
# the process and the connections it left in TIME_WAIT.
set -euo pipefail
tcp_lb=${TCP_LB:-$(dirname "$0")/../target/release/tcp-lb}
rounds=${ROUNDS:-3}
targets=${TARGETS:-10000}
seconds=${SECONDS_MEASURED:-20}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ulimit -n "$(ulimit -Hn)"

cat >"$folder/nginx.conf" <<END
worker_processes 1; daemon off; pid $folder/nginx.pid; error_log /dev/null;
events { worker_connections 20000; multi_accept on; }
http {
    access_log off;
    server { listen 9103 backlog=20000; location / { return 200 "hello\n"; } }
}
END
addresses() { seq 0 $((targets - 1)) | awk '{ printf "127.%d.%d.%d\n", 1 + $1 / 65025, ($1 / 255) % 255, 1 + $1 % 255 }'; }
for kind in tcp http; do
    {
        printf 'global\n  nbthread 1\n  maxconn 1000\ndefaults\n  mode tcp\n'
        printf '  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n  timeout check 1s\n'
        printf 'listen all\n  bind 127.0.0.1:8203\n'
        if [[ $kind == http ]]; then printf '  option httpchk GET /\n'; fi
        printf '  default-server check inter 1s\n'
        addresses | awk '{ printf "  server s%d %s:9103\n", NR, $1 }'
    } >"$folder/haproxy.$kind.cfg"
    {
        printf '[[virtual_server]]\nlisten = "127.0.0.1:8303"\n'
        printf 'check = { type = "%s", interval = "1s", timeout = "1s" }\n' "$kind"
        printf 'backend = [\n'
        addresses | awk '{ printf "  { address = \"%s:9103\" },\n", $1 }'
        printf ']\n'
    } >"$folder/$kind.toml"
done

processor() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
begun() { awk '/^Tcp:/ && !/Rto/ { print $6 }' /proc/self/net/snmp; }
measure() { # kind, who, command ...
    local kind=$1 who=$2 nginx process before began resident left
    shift 2
    trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
    ip link set lo up
    nginx -c "$folder/nginx.conf" &
    nginx=$!
    sleep 1
    "$@" >"$folder/log" 2>&1 &
    process=$!
    sleep 8
    before=$(processor "$process") began=$(begun)
    sleep "$seconds"
    before=$(($(processor "$process") - before)) began=$(($(begun) - began))
    resident=$(awk '/VmRSS/ { print $2 }' "/proc/$process/status")
    left=$(awk '/^TCP:/ { print $7 }' /proc/self/net/sockstat)
    awk -v kind="$kind" -v who="$who" -v ticks="$before" -v began="$began" -v resident="$resident" \
        -v left="$left" -v seconds="$seconds" -v hertz="$(getconf CLK_TCK)" 'BEGIN {
        printf "%-5s %-8s %8.0f connections/s %6.1f us each %6.1f %% of a core %7.1f MB %7d in TIME_WAIT\n",
            kind, who, began / seconds, ticks / hertz / began * 1e6, ticks / hertz / seconds * 100,
            resident / 1e3, left }'
    kill "$process" "$nginx"
    wait
}
export -f measure processor begun
export folder seconds
# Each in a network of its own, so that what one has left behind is not the next one's.
alone() { unshare --net bash -euo pipefail -c 'measure "$@"' measure "$@"; }
for _ in $(seq "$rounds"); do
    for kind in tcp http; do
        alone $kind haproxy haproxy -f "$folder/haproxy.$kind.cfg"
        alone $kind tcp-lb "$tcp_lb" --workers 1 --config "$folder/$kind.toml"
    done
done
