-- slurm.lua - a Slurm cluster of two nodes on this machine for specs: munged, slurmctld and two slurmd in a private
-- folder with ports of their own. Promises: they end with stop(), and by themselves after two minutes. Each node has
-- two GPUs, which are the files /dev/null, zero, full and random: Slurm binds them as it would real ones.
local child = require "spec.support.child"
local quoted = child.quoted

local M = {}

local programs = {"munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "sinfo", "timeout", "pgrep", "ps"}

--- Why no cluster can be started here, or nil.
function M.why_not()
  for _, name in ipairs(programs) do
    local _, code = child.shell("PATH=$PATH:/usr/sbin:/sbin command -v " .. name)
    if code ~= 0 then return name .. " is not installed (apt install slurmctld slurmd slurm-client munge)" end
  end
  if child.shell "id -u" ~= "0\n" then return "slurmd wants to be root" end
end

local config = [[
ClusterName=spec
SlurmctldHost=localhost
SlurmctldPort=PORT0
AuthType=auth/munge
AuthInfo=socket=FOLDER/munge.sock
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=FOLDER/state
SlurmdSpoolDir=FOLDER/%n
SlurmctldPidFile=FOLDER/slurmctld.pid
SlurmdPidFile=FOLDER/%n.pid
SlurmctldLogFile=FOLDER/slurmctld.log
SlurmdLogFile=FOLDER/%n.log
SlurmdTimeout=60
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
GresTypes=gpu
KillWait=1
NodeName=n1 NodeHostname=localhost Port=PORT1 CPUs=2 RealMemory=100 Gres=gpu:2
NodeName=n2 NodeHostname=localhost Port=PORT2 CPUs=2 RealMemory=100 Gres=gpu:2
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
]]

local gres = [[
NodeName=n1 Name=gpu File=/dev/null
NodeName=n1 Name=gpu File=/dev/zero
NodeName=n2 Name=gpu File=/dev/full
NodeName=n2 Name=gpu File=/dev/random
]]

local Cluster = {}
Cluster.__index = Cluster

--- What a command of the shell prints, of Slurm's among them, and its exit code.
function Cluster:shell(command)
  return child.shell(("export SLURM_CONF=%s/slurm.conf; %s"):format(self.folder, command))
end

--- Calls f() every 0.1 seconds until it returns something; an error that says `what` after `seconds`.
function Cluster:wait(what, seconds, f)
  local start = pah.clock()
  while true do
    local value = f()
    if value then return value end
    if pah.clock() - start > seconds then
      error(("%s: not in %d s\n%s"):format(what, seconds,
        (self:shell "sinfo; squeue; cd $(dirname $SLURM_CONF) && tail -n 20 *.log daemons")))
    end
    os.execute "sleep 0.1"
  end
end

--- Ends a daemon at once: "n1", "n2", "slurmctld", "munged".
function Cluster:kill(name)
  local pid = child.contents(("%s/%s.pid"):format(self.folder, name)) or ""
  if pid:match "%d+" then os.execute(("kill -KILL %d 2>/dev/null"):format(pid:match "%d+")) end
end

--- Ends everything.
function Cluster:stop()
  self:shell "scancel --full -u root 2>/dev/null; sleep 0.3"
  for _, name in ipairs {"n1", "n2", "slurmctld", "munged"} do self:kill(name) end
  os.execute("rm -rf " .. quoted(self.folder))
end

--- A cluster whose nodes are idle.
function M.start()
  local folder = child.folder()
  local self = setmetatable({folder = folder}, Cluster)
  local base = 20000 + math.floor(pah.clock() * 1e6) % 10000
  local text = config:gsub("FOLDER", folder):gsub("PORT(%d)", function(i) return tostring(base + tonumber(i)) end)
  child.write(folder .. "/slurm.conf", text)
  child.write(folder .. "/gres.conf", gres)
  child.write(folder .. "/cgroup.conf", "CgroupAutomount=no\n")
  local _, code = self:shell(([[cd %s && export PATH=$PATH:/usr/sbin && mkdir state n1 n2 && chmod 755 . &&
    head -c 128 /dev/urandom >munge.key && chmod 400 munge.key &&
    timeout -k 1 120 munged --foreground --force --key-file=$PWD/munge.key --socket=$PWD/munge.sock \
      --pid-file=$PWD/munged.pid --log-file=$PWD/munged.log --seed-file=$PWD/munge.seed --num-threads=1 >>daemons 2>&1 &
    cd %s && n=0 && until [ -S munge.sock ] || [ $n = 50 ]; do sleep 0.1; n=$((n + 1)); done
    for daemon in "slurmctld -D -c" "slurmd -D -N n1" "slurmd -D -N n2"; do
      timeout -k 1 120 $daemon >>daemons 2>&1 &
    done]]):format(folder, folder))
  assert(code == 0)
  self:wait("the nodes are idle", 20, function()
    local _, idle = self:shell("sinfo -h -N -o %T"):gsub("idle", "")
    return idle == 2
  end)
  return self
end

return M
