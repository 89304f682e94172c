@echo off
rem Run litert-lm-cli from a clone on Windows. The virtual environment .venv is created on first use,
rem and again when the pinned versions change.
setlocal
set "clone=%~dp0"
set "python=%clone%.venv\Scripts\python.exe"
fc /b "%clone%constraints.txt" "%clone%.venv\made-from" >nul 2>&1
if errorlevel 1 (
  echo Setting up litert-lm-cli in "%clone%.venv"... 1>&2
  py -3 -m venv --clear "%clone%.venv" 1>&2 || exit /b 1
  "%python%" -m pip install --disable-pip-version-check -c "%clone%constraints.txt" -e "%clone%." 1>&2 || exit /b 1
  copy /y "%clone%constraints.txt" "%clone%.venv\made-from" >nul || exit /b 1
)
set "LITERT_LM_CLI_CLONE=%clone%."
"%python%" -I -m litertlm %*
exit /b %errorlevel%
