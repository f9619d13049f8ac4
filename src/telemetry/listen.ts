import type { Server } from 'node:net'
import { EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'

/** Opens a TCP server; `option` names it to the user. Throws Failure. */
export async function listenOn(server: Server, host: string | undefined, port: number, option: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EACCES' ? EXIT_NO_PERMISSION : EXIT_UNAVAILABLE
      reject(new Failure(code, `${option}: cannot listen on ${host ?? '*'}:${port}: ${error.code}.`, mend(error.code)))
    })
    server.listen({ port, host, backlog: 64 }, resolve)
  })
  // A connection that cannot be accepted, for want of descriptors say, must not end the program.
  server.removeAllListeners('error').on('error', () => {})
}

function mend(code: string | undefined): string {
  if (code === 'EADDRINUSE') return 'Something else listens there (ss -ltnp tells what): choose another port.'
  if (code === 'EACCES') return 'Ports below 1024 need CAP_NET_BIND_SERVICE: choose one above.'
  return 'Give an address of this host.'
}
