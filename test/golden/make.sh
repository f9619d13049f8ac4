#!/bin/sh
# Makes every capture in this folder anew: root, tcpdump, tshark, editcap, and a python3 with scapy (PYTHON names another).
set -eu
cd "$(dirname "$0")"
PYTHON=${PYTHON:-python3}
SEND=golden-$$-send
RECEIVE=golden-$$-receive
WORK=$(mktemp -d)

clean() {
  for pid in $(cat "$WORK"/*.pid 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
  ip netns del "$SEND" 2>/dev/null || true
  ip netns del "$RECEIVE" 2>/dev/null || true
  rm -rf "$WORK"
}
trap clean EXIT
trap 'exit 1' INT TERM

# wait_for COMMAND...: until it succeeds, 10 seconds at most.
wait_for() {
  end=$(($(date +%s) + 10))
  until "$@"; do
    [ "$(date +%s)" -lt $end ] || { echo "gave up waiting for: $*" >&2; exit 1; }
    sleep 0.05
  done
}

in_send() { ip netns exec "$SEND" "$@"; }
in_receive() { ip netns exec "$RECEIVE" "$@"; }

# One cable, MTU 1500. A vxlan device each, whose MTU is larger than the tunnel's room: the kernel fragments outside.
lay_cable() {
  ip netns add "$SEND"
  ip netns add "$RECEIVE"
  ip link add cable netns "$SEND" type veth peer name cable netns "$RECEIVE"
  for side in "$SEND 1" "$RECEIVE 2"; do
    set -- $side
    ip -n "$1" link set cable addrgenmode none
    ip -n "$1" link set cable up
    ip -n "$1" link set lo up
    ip -n "$1" address add 10.99.0."$2"/24 dev cable
    ip -n "$1" address add fd99::"$2"/64 dev cable nodad
    ip netns exec "$1" ethtool -K cable rx off tx off sg off tso off gso off gro off tx-udp-segmentation off >/dev/null
  done
}

# tunnel VNI SENDER RECEIVER: replaces the vxlan devices. They have no IPv6, so that they send nothing by themselves.
tunnel() {
  for side in "$SEND $2 $3 1 2" "$RECEIVE $3 $2 2 1"; do
    set -- "$1" $side
    ip -n "$2" link del tunnel 2>/dev/null || true
    ip -n "$2" link add tunnel address 02:00:00:00:01:0"$5" type vxlan id "$1" local "$3" remote "$4" dstport 4789 nolearning
    ip netns exec "$2" sysctl -qw net.ipv6.conf.tunnel.disable_ipv6=1
    ip -n "$2" link set tunnel mtu 1500 up
    ip -n "$2" address add 192.168.77."$5"/24 dev tunnel
    ip -n "$2" neighbour replace 192.168.77."$6" lladdr 02:00:00:00:01:0"$6" dev tunnel nud permanent
  done
}

# capture FILE DEVICE FILTER: tcpdump at the receiver, incoming packets only; returns once it listens.
capture() {
  ip netns exec "$RECEIVE" tcpdump -i "$2" -Q in -U --immediate-mode --time-stamp-precision nano -w "$1" $3 2>"$WORK/$2.log" &
  echo $! >"$WORK/$2.pid"
  wait_for grep -qs 'listening on' "$WORK/$2.log"
}

has_packets() { [ "$(tcpdump -r "$1" --count 2>/dev/null | cut -d' ' -f1)" = "$2" ]; }

# record NAME FRAMES DATAGRAM-PIECES COMMAND...: the outer capture and, at the same time, what the kernel took out of it.
record() {
  name=$1 inner=$2 outer=$3
  shift 3
  capture "$WORK/outer.pcap" cable 'udp port 4789 or ip[6:2] & 0x3fff != 0 or ip6 proto 44'
  capture "$WORK/inner.pcap" tunnel ''
  "$@" >/dev/null
  wait_for has_packets "$WORK/inner.pcap" "$inner"
  wait_for has_packets "$WORK/outer.pcap" "$outer"
  kill "$(cat "$WORK/cable.pid")" "$(cat "$WORK/tunnel.pid")"
  wait
  rm "$WORK"/*.pid
  # tcpdump gave the files to its own user.
  cat "$WORK/outer.pcap" >"$name.pcap"
  cat "$WORK/inner.pcap" >"$name.inner.pcap"
  rm "$WORK/outer.pcap" "$WORK/inner.pcap"
  # Frame numbers and VNIs: tshark on the outer capture, reassembling; lengths and bytes: the kernel's inner side.
  "$PYTHON" expect-inner.py "$name" >"$name.expected.tsv"
}

lay_cable
tunnel 42 10.99.0.1 10.99.0.2
record kernel-ipv4 5 5 in_send ping -c 5 -i 0.002 -s 100 192.168.77.2
tunnel 16777215 fd99::1 fd99::2
record kernel-ipv6 5 5 in_send ping -c 5 -i 0.002 -s 333 192.168.77.2
tunnel 4095 10.99.0.1 10.99.0.2
record kernel-vlan 6 6 in_send "$PYTHON" send-inner.py tunnel vlan
record kernel-fragments-ipv4 3 6 in_send "$PYTHON" send-inner.py tunnel large
tunnel 7 fd99::1 fd99::2
record kernel-fragments-ipv6 3 6 in_send "$PYTHON" send-inner.py fd99::2 large 7

"$PYTHON" make-scapy.py
