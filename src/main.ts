/** The Worker's entry: the edge as default export, the objects by name; nothing more. */
import { createApp } from "./edge/app.ts";

export { Topic } from "./topic/topic.ts";

const app: ReturnType<typeof createApp> = createApp();

export default app;
