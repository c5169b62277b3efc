#!/bin/bash
# trapmeter predict as a Slurm array: 16 shards, then a merge. From a login node:
#
#   looking=$(sbatch --parsable --array=1-16 slurm-predict.sh SURVEY RESULTS)
#   sbatch --dependency=afterany:$looking --array=1-1 slurm-predict.sh SURVEY RESULTS merge 16
#
# A shard with broken videos ends with status 3, so the merge waits for their end and not for their success; it says itself
# which shard isn't finished. Whatever was killed goes on when the same commands are given again. SURVEY and RESULTS lie on a
# file system that all nodes share.
#SBATCH --job-name=trapmeter
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --requeue
set -euo pipefail
survey=$1 results=$2

if [ "${3:-}" = merge ]; then
  exec trapmeter merge "$results"/shard-*-of-"$4" --out "$results"
fi
exec trapmeter predict "$survey" --out "$results" --site folder:1 --jobs "$SLURM_CPUS_PER_TASK" \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
