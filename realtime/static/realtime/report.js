/** The pages of reports: they are made by the server; here is the connection's truth, STOP, and printing. */
import { start } from "./page.js";

start({ topics: [] });
document.getElementById("print")?.addEventListener("click", () => window.print());
