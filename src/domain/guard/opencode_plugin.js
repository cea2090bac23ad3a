// Written by `tos guard install opencode`; `tos guard uninstall opencode` removes it.
// Asks tos about each tool call before it runs. What tos does not answer is not run.
import { spawnSync } from "node:child_process"

const program = "@PROGRAM@"
const notes = new Map()

export const TosGuard = async ({ directory }) => ({
  "tool.execute.before": async (input, output) => {
    const call = {
      tool: input.tool,
      sessionID: input.sessionID,
      cwd: directory,
      args: output.args ?? {},
    }
    const asked = spawnSync(program, ["guard", "hook", "opencode"], {
      input: JSON.stringify(call),
      encoding: "utf8",
      timeout: 60000,
    })
    if (asked.status !== 0) {
      const why = (asked.stderr || "").trim() || String(asked.error ?? "it ended without an answer")
      throw new Error(`tos guard did not answer: ${why}`)
    }
    const answer = JSON.parse(asked.stdout)
    if (answer.decision !== "allow") throw new Error(answer.reason)
    if (answer.note) notes.set(input.callID, answer.note)
  },
  "tool.execute.after": async (input, output) => {
    const note = notes.get(input.callID)
    notes.delete(input.callID)
    if (note && typeof output?.output === "string") output.output += `\n${note}`
  },
})
