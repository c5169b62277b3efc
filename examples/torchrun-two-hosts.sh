#!/bin/bash
# trapmeter train on two hosts without a batch system. The same command on each of them, with the name of one of the two:
#
#   torchrun-two-hosts.sh HOST --labels train_labels.csv --metadata train_metadata.csv --store frames/ --out training/
#
# HOST is where they meet; the other reaches it at PORT (29400), and both let each other's processes in at any port. --out
# lies on a file system that both share, --store too or as a copy under the same path on each.
#
# A host that is lost ends the step on the other, which then waits a quarter of an hour for it: give the command there again,
# and both go on after the last whole epoch. HOSTS=1:2 doesn't wait: one goes on with the whole batch. Where HOST itself was
# lost, the command is given again on both.
#
# PROCESSES is one for each GPU, or 1 without any. On a CPU, OMP_NUM_THREADS is the number of cores for each process. Where a
# host has several networks, NCCL_SOCKET_IFNAME (GPUs) or GLOO_SOCKET_IFNAME (CPUs) names the one to take, such as eth1.
set -euo pipefail
host=${1:?"the host to meet at, then the arguments of trapmeter train"}
shift
gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l) || gpus=0

# Without it, torch's agents (2.14) keep the address of their first meeting, and a host that joins later waits for one in vain.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
exec torchrun --nnodes "${HOSTS:-2}" --nproc-per-node "${PROCESSES:-$((gpus > 0 ? gpus : 1))}" --max-restarts 3 \
  --rdzv-backend c10d --rdzv-endpoint "$host:${PORT:-29400}" --rdzv-id trapmeter --rdzv-conf join_timeout=900 \
  -m trapmeter.cli train "$@"
