import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { main } from 'assemblyscript/asc'

const folder = fileURLToPath(new URL('../../src/frames/assembly/', import.meta.url))

/** The text of src/frames/loops-code.ts: what the AssemblyScript beside it is in WebAssembly. */
export async function compiledLoops(): Promise<string> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'))
  const memory = ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536']
  const options = ['--baseDir', folder, '-O3', '--runtime', 'stub', '--noAssert', '--enable', 'threads', ...memory]
  let code: Uint8Array | undefined
  const { error, stderr } = await main([...files.sort(), ...options, '--outFile', 'loops.wasm'], {
    writeFile: (_name, contents) => {
      code = contents as Uint8Array
    },
  })
  const said = stderr.toString()
  if (error !== null || code === undefined || said !== '') throw new Error(`the loops do not compile\n${said}`)
  return `/** Made of assembly/ by \`npm run generate\`; a test holds it against that. In base64. */
export const CODE =
  '${Buffer.from(code).toString('base64')}'
`
}
