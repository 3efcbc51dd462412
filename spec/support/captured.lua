-- captured.lua - the workloads of FlashInfer's trace that specs use if they are there: $PAH_SHARED_DATA, else
-- ../shared/data. `present` says whether they are.
local M = {folder = (os.getenv "PAH_SHARED_DATA" or "../shared/data") .. "/flashinfer_trace"}

M.definition = M.folder .. "/definitions/gqa_paged/gqa_paged_decode_h32_kv8_d128_ps1.json"

--- The definition and the workloads of an MLA operation ("decode" or "prefill_causal"), whose tables are not there.
function M.mla(what)
  local name = "mla_paged/mla_paged_" .. what .. "_h16_ckv512_kpe64_ps1"
  return M.folder .. "/definitions/" .. name .. ".json", M.folder .. "/workloads/" .. name .. ".jsonl"
end

local file = io.open(M.definition)
M.present = file ~= nil
if file then file:close() end

return M
