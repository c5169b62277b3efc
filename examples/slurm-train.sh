#!/bin/bash
# trapmeter train on several hosts as a Slurm job:
#
#   sbatch slurm-train.sh --labels train_labels.csv --metadata train_metadata.csv --store frames/ --out training/
#   sbatch --nodes=4 slurm-train.sh ...
#
# An agent of torchrun on each node starts a process for each of its GPUs; they meet on the job's first node. A process that
# ends is started again three times. Preempted, or when a node fails, Slurm puts the job in the queue again, and this script
# does so itself ten minutes before the time is up: training goes on after the last whole epoch. So the time must be longer
# than an epoch. --store and --out lie on a file system that all nodes share.
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
# Where it is installed, if the nodes don't find it by themselves:
# source trapmeter-env/bin/activate

read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
# A port of the job's own, so that two jobs on one node don't meet.
port=$((29500 + SLURM_JOB_ID % 3000))
trap 'woken=yes; scontrol requeue "$SLURM_JOB_ID"' USR1

# Without it, torch's agents (2.14) keep the address of their first meeting, and a host that joins later waits for one in vain.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
# In the background, since bash answers a signal only between two commands. A requeued job has another number of restarts, so
# that its agents don't meet late ones of the time before.
srun --kill-on-bad-exit=1 torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" --max-restarts 3 \
  --rdzv-backend c10d --rdzv-endpoint "$first:$port" --rdzv-id "$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0}" \
  -m trapmeter.cli train "$@" &
training=$! status=""
# The signal ends the wait, not the training: Slurm does, when it takes the job back.
until [ -n "$status" ]; do
  woken="" status=0
  wait "$training" || status=$?
  if [ -n "$woken" ] && [ "$status" -gt 128 ]; then status=""; fi
done
exit "$status"
