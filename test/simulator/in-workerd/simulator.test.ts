/**
 * The simulator: made-up scenarios on a real Topic over real sockets, from seeds. `npm run simulate`
 * runs more of them, and replays one that failed.
 */
import { simulate } from "./simulate.ts";

simulate("messages", { fixedSteps: 1000, freshSteps: 300 });
