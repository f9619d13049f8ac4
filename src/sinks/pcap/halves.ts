/** The module of the thread that writes files, and that of their half in the pipeline. */
export const WRITER_THREAD: URL = new URL('./writer-thread.js', import.meta.url)
export const FRAME_WRITER: URL = new URL('./frame-writer.js', import.meta.url)
