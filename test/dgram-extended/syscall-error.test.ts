import { expect, test } from 'vitest'
import { SyscallError } from '../../src/dgram-extended/syscall-error.ts'
import { requires } from '../support/requirements.ts'

const it = requires('linux')

it('it names the call, the error, what it was about, and how to mend it', () => {
  const error = new SyscallError('bind', 98, 'udp 0.0.0.0 port 4789')
  expect(error).toMatchObject({ name: 'SyscallError', syscall: 'bind', code: 'EADDRINUSE', errno: 98 })
  expect(error.message.split('\n')).toEqual([
    'bind failed: EADDRINUSE (udp 0.0.0.0 port 4789)',
    expect.stringContaining('ss -ulpn'),
  ])
})

it('an error without a remedy is one line', () => {
  expect(new SyscallError('poll', 22, '2 descriptors').message).toBe('poll failed: EINVAL (2 descriptors)')
})

test('it is an Error', () => {
  expect(new SyscallError('poll', 22, '')).toBeInstanceOf(Error)
})
