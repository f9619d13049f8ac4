import { defineConfig } from 'vitest/config'

// biome-ignore lint/style/noDefaultExport: vitest reads its configuration from a default export
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: 'together', include: ['test/**/*.test.ts'], exclude: ['test/alone/**'], maxWorkers: 2 },
      },
      // Floods of which nothing may be lost, paces, and looks at the whole machine: behind all others, file by file.
      { extends: true, test: { name: 'alone', include: ['test/alone/*.test.ts'], fileParallelism: false } },
    ],
  },
})
