#!/usr/bin/env bash
# Runs the smoke profile on a real SLURM of one node, through dask-jobqueue, and compares its dvc.lock with that of a local run.
#
#     sudo bench/slurm.sh      # Debian: apt-get install slurm-wlm munge; as root, in a virtual machine or a container
#
# Starts munge, slurmctld and slurmd with a configuration of its own in a temporary folder, and ends them.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=$root/.venv/bin/python
export PATH=$root/.venv/bin:/usr/sbin:$PATH
folder=$(mktemp -d)
host=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf

end() {
  kill $(cat "$folder"/*.pid 2>/dev/null) 2>/dev/null || true
  rm -rf "$folder"
}
trap end EXIT

dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
chmod 400 "$folder/munge.key"
munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
  --log-file "$folder/munged.log" --seed-file "$folder/munge.seed"
cat > "$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
mkdir "$folder/state" "$folder/spool"
slurmctld
slurmd
until sinfo --noheader | grep -q idle; do sleep 1; done
sinfo

for name in local slurm; do
  git clone --quiet "$root" "$folder/$name"
  (cd "$folder/$name" && rm -rf dvc.lock stages reports && "$python" -m hw2core profile smoke)
done
cat > "$folder/cluster.yaml" <<YAML
kind: slurm
workers: 2
options:
  cores: 1
  memory: 4GB
  walltime: "01:00:00"
  local_directory: $folder/scratch
  log_directory: $folder/logs
  python: $python
YAML
(cd "$folder/slurm" && time "$python" -m hw2core repro --cluster "$folder/cluster.yaml") &
run=$!
sleep 20
squeue || true
wait $run
(cd "$folder/local" && time "$python" -m hw2core repro --jobs 2 > /dev/null)
sha256sum "$folder"/{local,slurm}/dvc.lock
cmp "$folder"/{local,slurm}/dvc.lock && echo "the dvc.lock files are identical"
