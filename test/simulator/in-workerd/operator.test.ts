/**
 * The simulator's other kind of scenarios: what an operator changes of keys and policies, on a real Domain and real
 * Topics, while some of them fail.
 */
import { simulate } from "./simulate.ts";

simulate("operator", { fixedSteps: 250, freshSteps: 150 });
