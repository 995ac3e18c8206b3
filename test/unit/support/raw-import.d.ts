/** Files that a test reads as text, since workerd has no file system. */
declare module "*.md?raw" {
  const text: string;
  export default text;
}
