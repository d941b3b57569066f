#!/bin/sh
# The first process of a node's namespaces: gives them mounts and a network of their own, says "ready", and reaps what
# containers leave behind until it is killed, which ends all of them. $1: the run folder.
set -eu
run=$1
hostname glyph-node

# The kubelet insists on these, and they belong to the whole machine: it is shown what it wants to see.
mkdir -p "$run/data/sysctl"
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
  shown=$run/data/sysctl/$(basename "${setting%=*}")
  echo "${setting#*=}" > "$shown"
  mount --bind "$shown" "/proc/sys/${setting%=*}"
done

# What kubelet and containerd put at fixed places stays in here.
mount -t tmpfs -o mode=755 node /run
mkdir -p /run/lock /run/netns /run/var-lib /run/var-lib.work
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/var-lib,workdir=/run/var-lib.work node /var/lib
mkdir -p "$run/pods/pods" "$run/pods/containers"
mount --bind "$run/pods" /var/log
mount --make-rshared /

# A bridge that carries the node's address. Nothing leads out.
ip link set lo up
ip link add node0 type bridge
ip address add 10.77.0.1/24 dev node0
ip link set node0 up
# A bridge without a port has no carrier, and the kubelet takes an address without one for none.
ip link add node1 type veth peer name node2
ip link set node1 master node0 up
ip link set node2 up
ip route add default dev node0
echo 1 > /proc/sys/net/ipv4/ip_forward

echo ready
sleep infinity &
wait
