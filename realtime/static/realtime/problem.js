/** The page for what went wrong has no socket, but it has STOP, for whoever may use it. */
import { call, NoAnswer } from "./api.js";
import { Stops } from "./stop.js";
import { plain } from "./page.js";

/** Strangers and those without the right do not see the button; with the server in trouble everybody keeps it. */
async function mayStop() {
  try {
    const me = await call("GET", "auth/me/");
    if (me.status === 401) return false;
    if (!me.ok || me.body.rights.includes("robot.stop")) return true;
    const robots = await call("GET", "robots/?page_size=1"); // a grant on one robot
    return !robots.ok || robots.body.count > 0;
  } catch (error) {
    if (error instanceof NoAnswer) return true;
    throw error;
  }
}

plain();
new Stops();
document.getElementById("stop-all").hidden = !(await mayStop());
