/** The page of a locked session: nothing of what was there before, but the connection's truth, STOP, and the way back. */
import { start } from "./page.js";

start({ topics: [] });
