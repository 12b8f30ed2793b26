#!/usr/bin/env bash
# tcp-lb beside HAProxy in TCP mode, one thread each, in turn, on loopback. Needs haproxy, nginx, wrk
# and iperf3 (Debian's packages), and `cargo build --release --bin tcp-lb`.
# Prints what came through and how much processor time the proxy took for it, in hundredths of a
# second.
set -euo pipefail
tcp_lb=${TCP_LB:-$(dirname "$0")/../target/release/tcp-lb}
rounds=${ROUNDS:-3}
folder=$(mktemp -d)
processes=()
trap 'kill "${processes[@]}" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

cat >"$folder/nginx.conf" <<END
worker_processes 1; daemon off; pid $folder/nginx.pid; error_log $folder/nginx.log;
events { worker_connections 10000; }
http {
    access_log off; keepalive_requests 1000000;
    server { listen 127.0.0.1:9101; location / { return 200 "hello\n"; } }
    server { listen 127.0.0.1:9102; location / { return 200 "hello\n"; } }
}
END
cat >"$folder/haproxy.cfg" <<END
global
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option splice-auto
listen web
  bind 127.0.0.1:8201
  server a 127.0.0.1:9101
  server b 127.0.0.1:9102
listen bulk
  bind 127.0.0.1:8202
  server a 127.0.0.1:5201
END
cat >"$folder/lb.toml" <<END
[[virtual_server]]
listen = "127.0.0.1:8301"
scheduler = "rr"
backend = [{ address = "127.0.0.1:9101" }, { address = "127.0.0.1:9102" }]
[[virtual_server]]
listen = "127.0.0.1:8302"
backend = [{ address = "127.0.0.1:5201" }]
END

start() { "$@" >/dev/null 2>"$folder/log" & processes+=($!); }
start nginx -c "$folder/nginx.conf"
start iperf3 -s -B 127.0.0.1
start haproxy -f "$folder/haproxy.cfg"
haproxy=$!
start "$tcp_lb" --workers 1 --config "$folder/lb.toml"
ours=$!
sleep 2

processor() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
measure() { # what, who, process, command ...
    local what=$1 who=$2 process=$3 before came
    shift 3
    before=$(processor "$process")
    came=$("$@" | awk '/Requests\/sec/ { print $2, "requests/s" } /receiver/ { print $7, $8 }')
    printf '%-24s %-8s %-24s %s\n' "$what" "$who" "$came" "$(($(processor "$process") - before))"
}
for _ in $(seq "$rounds"); do
    for who in haproxy tcp-lb; do
        if [[ $who == haproxy ]]; then process=$haproxy; port=82; else process=$ours; port=83; fi
        measure "kept connections" $who $process wrk -t1 -c64 -d3 "http://127.0.0.1:${port}01/"
        measure "a connection each" $who $process \
            wrk -t1 -c64 -d3 -H 'Connection: close' "http://127.0.0.1:${port}01/"
        measure "bulk" $who $process iperf3 -c 127.0.0.1 -p "${port}02" -t 3
    done
done
