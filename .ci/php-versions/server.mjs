// Runs PHP of one version for whoever asks: `node server.mjs 8.4 SOCKET FOLDER...`.
//
// Each request, one line of JSON with `argv`, gets a PHP of its own with the command line's SAPI,
// which sees the given folders of this machine and nothing else, and has no network.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { loadPHPRuntime, PHP } from '@php-wasm/universal';

const [version, socket, ...folders] = process.argv.slice(2);
const { getPHPLoaderModule } = await import(`@php-wasm/node-${version.replace('.', '-')}`);
const loader = await getPHPLoaderModule();
let processes = 0;

function sees(folder) {
  return (_php, FS, place) => {
    FS.mount(FS.filesystems.NODEFS, { root: folder }, place);
    return () => FS.unmount(place);
  };
}

async function run(argv) {
  processes += 1;
  const php = new PHP(await loadPHPRuntime(loader, { processId: processes }));
  for (const folder of folders) {
    php.mkdir(folder);
    await php.mount(folder, sees(folder));
  }
  const response = await php.cli(['php', ...argv]);
  const [stdout, stderr, code] = await Promise.all([
    response.stdoutText,
    response.stderrText,
    response.exitCode,
  ]);
  return { stdout, stderr, code };
}

createServer((connection) => {
  createInterface({ input: connection }).once('line', async (line) => {
    const answer = await run(JSON.parse(line).argv).catch((error) => ({
      stdout: '',
      stderr: `PHP could not be run: ${error.stack}`,
      code: 255,
    }));
    connection.end(JSON.stringify(answer));
  });
}).listen(socket);
