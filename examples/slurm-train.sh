#!/bin/bash
# Runs trapmeter train on several hosts as a Slurm job:
#
#   sbatch slurm-train.sh --labels train_labels.csv --metadata train_metadata.csv --store frames/ --out training/
#   sbatch --nodes=4 slurm-train.sh ...
#
# A torchrun agent on each node starts one process per GPU. The agents meet on the job's first node. A process that ends is
# restarted three times. If the job is preempted or a node fails, Slurm queues the job again; this script does the same ten
# minutes before the time limit. Training resumes after the last complete epoch, so the time limit must be longer than one
# epoch. --store and --out must lie on a file system that all nodes share.
#SBATCH --job-name=trapmeter-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@600
#SBATCH --open-mode=append
set -euo pipefail
# Uncomment and adapt this line if the nodes don't find trapmeter:
# source trapmeter-env/bin/activate

read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
# Each job has its own port, because two jobs may share a node.
port=$((29500 + SLURM_JOB_ID % 3000))
trap 'signalled=yes; scontrol requeue "$SLURM_JOB_ID"' USR1

# Otherwise torch 2.14 announces the store's address in the first rendezvous only, and a host that joins later times out.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
# In the background, because bash handles a signal only between two commands. The restart count in the rendezvous id keeps
# the agents of a requeued job apart from late ones of the previous run.
srun --kill-on-bad-exit=1 torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" --max-restarts 3 \
  --rdzv-backend c10d --rdzv-endpoint "$first:$port" --rdzv-id "$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0}" \
  -m trapmeter.cli train "$@" &
training=$! status=""
# The signal ends the wait, not the training. Slurm ends the training when it requeues the job.
until [ -n "$status" ]; do
  signalled="" status=0
  wait "$training" || status=$?
  if [ -n "$signalled" ] && [ "$status" -gt 128 ]; then status=""; fi
done
exit "$status"
