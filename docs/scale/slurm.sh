#!/bin/bash
# All stages, one job after another; start it on a login node, in the clone:
#   bash docs/scale/slurm.sh
# MAP_TASKS and TRAIN_NODES say how many take part. When the last job has ended well, `dvc commit
# --force` tells DVC what was made. If one fails, those behind it never start: cancel them, and start
# this again; what was made in shares is not made anew. Where nodes have no network, or are too dear to
# wait while pictures are fetched, run `python -m stages download` elsewhere, and take it from the lists.
set -euo pipefail

maps="download resize_images extract_embeddings dump_codes generate evaluate"
trainings="finetune_blip train_vqvae train_decoder train_pixelsnail train_diffusion"
stages="download resize_images finetune_blip extract_embeddings train_vqvae dump_codes
  train_decoder train_pixelsnail train_diffusion train_judge generate evaluate"

last=""
for stage in $stages; do
  after=()
  if [ -n "$last" ]; then
    after=(--dependency="afterok:$last")
  fi
  task=""
  case " $maps " in
    *" $stage "*)
      how=(--array="0-$((${MAP_TASKS:-16} - 1))" docs/scale/map.sbatch)
      task=_0  # it ends well when this run's outs are there, whatever becomes of the others
      ;;
    *)
      case " $trainings " in
        *" $stage "*) how=(--nodes="${TRAIN_NODES:-1}" docs/scale/train.sbatch) ;;
        *) how=(--array=0 docs/scale/map.sbatch) ;;  # one process
      esac
      ;;
  esac
  last=$(sbatch --parsable "${after[@]}" "${how[@]}" "$stage")
  last=${last%%;*}  # of a cluster among several, its name stands behind
  echo "$stage: job $last"
  last=$last$task
done
