#!/bin/bash
# Runs trapmeter train on two hosts without a batch system. Run the same command on both, with the name of one of them:
#
#   torchrun-two-hosts.sh HOST --labels train_labels.csv --metadata train_metadata.csv --store frames/ --out training/
#
# HOST is where they meet. The other host reaches it at PORT (29400), and both must accept connections from each other at any
# port. --out must lie on a file system that both share, and --store too, or as a copy under the same path on each.
#
# If one host is lost, the other one waits 15 minutes for it. Run the command there again, and both resume after the last
# complete epoch. With HOSTS=1:2 the remaining host doesn't wait and continues with the complete batch. If HOST itself was
# lost, run the command on both again.
#
# PROCESSES is the number of processes per host: one per GPU, or 1 without a GPU. On a CPU, set OMP_NUM_THREADS to the number
# of cores per process. On hosts with several networks, set NCCL_SOCKET_IFNAME (GPUs) or GLOO_SOCKET_IFNAME (CPUs) to the
# interface to use, such as eth1.
set -euo pipefail
host=${1:?"the host to meet at, then the arguments of trapmeter train"}
shift
gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l) || gpus=0

# Otherwise torch 2.14 announces the store's address in the first rendezvous only, and a host that joins later times out.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
exec torchrun --nnodes "${HOSTS:-2}" --nproc-per-node "${PROCESSES:-$((gpus > 0 ? gpus : 1))}" --max-restarts 3 \
  --rdzv-backend c10d --rdzv-endpoint "$host:${PORT:-29400}" --rdzv-id trapmeter --rdzv-conf join_timeout=900 \
  -m trapmeter.cli train "$@"
