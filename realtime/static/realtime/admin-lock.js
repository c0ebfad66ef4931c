/** The admin's pages are covered as the console's are, with STOP ALL on the cover: what was typed is there again afterwards. */
import { Lock } from "./lock.js";
import { Stops } from "./stop.js";

new Stops();
new Lock();
