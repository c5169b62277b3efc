#!/bin/bash
# Runs trapmeter predict as a Slurm array of 16 shards, then a merge. From a login node:
#
#   shards=$(sbatch --parsable --array=1-16 slurm-predict.sh SURVEY RESULTS)
#   sbatch --dependency=afterany:$shards --array=1-1 slurm-predict.sh SURVEY RESULTS merge 16
#
# A shard with broken videos ends with status 3. The merge therefore waits for the shards' end, not for their success, and
# names any shard that is not finished. After an interruption, run the same commands again: they resume. SURVEY and RESULTS
# must lie on a file system that all nodes share.
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
