import { copyFileSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Merged or not: where packages have their libraries, each in a folder named after the processor. */
const libraryParents = ['lib', 'usr/lib']

/**
 * Has a program of an unpacked tree run with the tree's own loader and libraries: the system's may be older than it needs.
 * A script takes its place, so that the program finds what lies around it as it is used to.
 * @param path of the program, relative to the root
 */
export function runWithOwnLibraries(root: string, path: string): void {
  const folders = libraryParents
    .flatMap((parent) => folderNames(join(root, parent)).map((name) => `${parent}/${name}`))
    .filter((folder) => /-linux-gnu\w*$/.test(folder))
  const [loader] = folders.flatMap((folder) => {
    const names = readdirSync(join(root, folder)).filter((name) => /^ld-linux.*\.so\.\d$/.test(name))
    return names.map((name) => `${folder}/${name}`)
  })
  if (loader === undefined) throw new Error(`there is no loader in ${root}`)
  const program = join(root, path)
  copyFileSync(program, `${program}.real`) // it may be a link: Redis' server and its tools are one program
  rmSync(program)
  // argv0, the name that it was called by: from it Redis' program knows which one it is, and PostgreSQL its folder.
  const script = [
    '#!/bin/sh',
    `root=\${0%/${path}}`,
    `libraries=${folders.map((folder) => `$root/${folder}`).join(':')}`,
    `exec "$root/${loader}" --library-path "$libraries" --argv0 "$0" "$0.real" "$@"`,
    '',
  ]
  writeFileSync(program, script.join('\n'), { mode: 0o755 })
}

function folderNames(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}
