# SPDX-License-Identifier: Apache-2.0
# As many threads as cores are given, by an affinity mask, Slurm or a control group;
# OMP_NUM_THREADS wins over what is found, and --threads over all.
tiny_data
unset OMP_NUM_THREADS SLURM_CPUS_PER_TASK
train() { nibble-train -q --model=model --data=train.nbp --steps=1 -o out "$@"; }
threads() {  # threads WANTED COMMAND...
  rm -rf out
  "${@:2}"
  local used
  used=$(sed -n '1s/.*"threads": *\([0-9]*\).*/\1/p' out/metrics.jsonl)
  [ "$used" = "$1" ] || fail "$used threads, not $1: ${*:2}"
}
train
cores=$(sed -n '1s/.*"threads": *\([0-9]*\).*/\1/p' out/metrics.jsonl)
[ "$cores" -ge 1 ] && [ "$cores" -le "$(nproc)" ] || fail "$cores threads on $(nproc) processors"
threads 3 train --threads=3
OMP_NUM_THREADS=3 threads 3 train
OMP_NUM_THREADS=3 threads 2 train --threads=2
SLURM_CPUS_PER_TASK=1 threads 1 train
SLURM_CPUS_PER_TASK=4096 threads "$cores" train

# A runtime that binds the first thread to its place leaves the others theirs.
OMP_PROC_BIND=true threads "$cores" train
OMP_PROC_BIND=close OMP_PLACES=cores threads "$cores" train

first=$(taskset -pc $$ | sed 's/.*: *\([0-9]*\).*/\1/')
one() { taskset -c "$first" nibble-train -q --model=model --data=train.nbp --steps=1 -o out "$@"; }
threads 1 one
OMP_PROC_BIND=true threads 1 one
threads 2 one --threads=2
OMP_NUM_THREADS=2 threads 2 one

# A quota of one core, where this user may make a group.
for root in /sys/fs/cgroup/cpu /sys/fs/cgroup; do
  group=$root/nibble-threads-$$
  mkdir "$group" 2>/dev/null || continue
  if [ -e "$group/cpu.cfs_quota_us" ]; then
    echo 100000 >"$group/cpu.cfs_quota_us"
  elif [ -e "$group/cpu.max" ]; then
    echo "100000 100000" >"$group/cpu.max"
  else
    rmdir "$group"
    continue
  fi
  limited() { (echo $BASHPID >"$group/cgroup.procs" && train "$@"); }
  ok=0
  threads 1 limited && threads 2 limited --threads=2 || ok=1
  rmdir "$group"
  exit $ok
done
echo "no control group can be made here: their part is tests/base/cores_test.cpp alone" >&2
